"""Proves that the export service keeps the rules: `python -m unittest export_worker/tests.py`."""

from cadasta.workertoolbox.tests import build_functional_tests
from export_worker.celery import app

FunctionalTests = build_functional_tests(app)
