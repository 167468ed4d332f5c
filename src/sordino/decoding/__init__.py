"""Sound files of every kind, read whole: what libsndfile reads, what it must be helped with, and what PyAV reads."""
