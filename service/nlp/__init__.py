"""Text in, findings out. Knows neither Flask nor the database."""
