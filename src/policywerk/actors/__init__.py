# Tangled from book/1957-bellman.md
"""The learners, a module for each paper; they yield what they know so far."""
