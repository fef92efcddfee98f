"""A producer: it schedules a workflow that takes long enough for a worker to be killed in the middle of it."""

from export_worker import tasks

if __name__ == '__main__':
    print('flight', tasks.flight('kibera').delay().id)
