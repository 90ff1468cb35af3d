"""Reports of scans as files: JSON, CSV, XLSX, PDF, HTML and SARIF."""
