"""Whether an app keeps the rules of the architecture: what `build_functional_tests` is made of."""
