"""Question benchmarks: what is asked of whom (`runner`), what is kept (`store`), how answers are read and counted."""
