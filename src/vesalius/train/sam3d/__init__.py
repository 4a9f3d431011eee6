"""SAM-Med3D's three trainings: the foundation, an expert on it, and the gate that joins them."""
