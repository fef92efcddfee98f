"""Whether an app keeps the rules of the architecture: the rules, and the test case that is made of them."""
