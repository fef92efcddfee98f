"""A producer: it schedules each of the example's workflows, and knows nothing of exchanges, queues and bindings."""

from export_worker import tasks
from export_worker.celery import app

send = app.signature('msg.send', args=['ada@example.org'])
alarm = app.signature('msg.alarm')

if __name__ == '__main__':
    print('task', tasks.parcels.delay('kibera').id)
    print('chain', tasks.report('kibera').delay().id)
    print('chord', tasks.atlas('kibera').delay().id)
    print('errback', tasks.boundary.apply_async(['kibera'], link_error=alarm).id)
    print('followups', tasks.everything.apply_async(['kibera'], link=send, link_error=alarm).id)
