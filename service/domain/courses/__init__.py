"""Courses: lessons with quizzes, who takes them and how far, and which ones a user's findings suggest."""
