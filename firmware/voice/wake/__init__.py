"""Wake words: what hears them, and how one is found fit before it is used."""
