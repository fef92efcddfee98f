from .celery import beside
from .tasks import BESIDE as BESIDE

app = beside
