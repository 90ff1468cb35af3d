"""Bulk scans: archives of millions of documents, on one machine or on a Ray cluster.

`run.py` has the whole run on one screen. Ray and pyarrow come with requirements-bulk.txt; no other package of
the service imports them.
"""
