"""Find the tasks that are lost, with a proof of each, and send them again.

``held`` asks the broker what its work queues hold, and ``redis_queues`` and ``management`` look closer. ``lost``
compares that with the rows of tasks and results. ``message`` makes a message again from the row of its task,
``followers`` finds the tasks that a failure took along, and ``resending`` releases the rows and publishes.
"""
