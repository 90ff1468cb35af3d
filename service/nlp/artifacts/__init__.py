"""The model folder: manifest, hashes, operating points, the registry of versions."""
