"""Self-contained pages: one HTML file that needs no network, in light and dark, on a phone, a screen and paper."""
