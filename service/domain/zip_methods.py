"""The compressions of zip files that are read in the service's own process."""

import zipfile

BOUNDED = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
"""zipfile inflates a block of any other method whole, before anything is counted: 2 kB took 3 GB."""
