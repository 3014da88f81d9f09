# Tangled from book/concepts.md
"""What several learners share: the shape of a world, policies, networks."""
