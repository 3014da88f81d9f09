"""Results over many seeds that take too long for a build, and the experiments they come from."""
