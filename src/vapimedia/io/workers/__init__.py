"""Several processes behind one public port: the supervisor, its workers, and what they say to each other."""
