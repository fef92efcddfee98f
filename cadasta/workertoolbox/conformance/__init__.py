"""The rules of the architecture, and the test case that judges an app by them."""
