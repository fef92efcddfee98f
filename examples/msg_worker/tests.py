"""Proves that the message service keeps the rules: `python -m unittest msg_worker/tests.py`."""

from cadasta.workertoolbox.tests import build_functional_tests
from msg_worker.celery import app

FunctionalTests = build_functional_tests(app)
