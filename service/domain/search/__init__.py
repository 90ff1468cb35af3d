"""Finding stored findings and documents again: the list over all scans, and search by words and meaning."""
