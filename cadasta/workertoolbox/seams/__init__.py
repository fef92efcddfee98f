"""The parts of Celery, kombu, py-amqp and SQLAlchemy that this package uses although they are not public.

Each function here uses something private: an attribute that begins with an underscore, a class that the documentation
of its library lists among the internals, or a form of data that the library does not document. Its docstring names the
private part and says why no public one serves. No other module of this package uses private parts.

An upgrade of a library may change any of them. The tests in ``tests/seams`` try each function on the installed library.
"""
