"""Metrics, calibration, comparisons and reports. Imports no torch."""
