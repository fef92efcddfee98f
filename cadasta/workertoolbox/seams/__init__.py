"""All that this package uses of Celery, kombu, py-amqp and SQLAlchemy without their promise that it stays.

Each function here stands for something that these libraries keep to themselves: an attribute that begins with an
underscore, a class that their documentation lists among the internals, or a form of data that they describe nowhere.
Each says why no public way serves. No other module of this package uses such a thing.

An upgrade of a library may move any of it. The tests in ``tests/seams`` try each function on the installed library.
"""
