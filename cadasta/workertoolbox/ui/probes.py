"""Answer the programs that watch the platform and the page."""

import logging

from flask import Blueprint, current_app, request
from flask.blueprints import BlueprintSetupState
from sqlalchemy.exc import DBAPIError
from werkzeug.wrappers import Response

from ..errors import NotUsable
from ..metrics.endpoint import Answer, health
from ..metrics.exposition import CONTENT_TYPE, exposed
from ..tracked.readings import Readings
from . import texts
from .ended import EndedTasks
from .metrics import metrics as current

logger = logging.getLogger(__name__)

probes = Blueprint('probes', __name__)


@probes.record
def begin(state: BlueprintSetupState) -> None:
    state.app.extensions[probes.name] = EndedTasks()


@probes.get('/metrics')
def metrics() -> Response:
    ended: EndedTasks = current_app.extensions[probes.name]
    with Readings(current_app.config['DATABASE']) as readings:
        ended.look(readings)
        found = [*current(readings), *ended.metrics()]
    return _response(Answer(200, CONTENT_TYPE, exposed(found)))


@probes.get('/healthz')
def healthz() -> Response:
    with Readings(current_app.config['DATABASE']) as readings:
        readings.now()
    return _response(health(None))


@probes.errorhandler(DBAPIError)
@probes.errorhandler(NotUsable)
def unhealthy(error: DBAPIError | NotUsable) -> Response:
    reason = texts.reason(error)
    if current_app.config['HAS_USERS'] and request.endpoint == f'{probes.name}.healthz':
        # Strangers may ask, and the reason may name hosts and roles.
        logger.error('%r: %s', request.path, reason)
        reason = 'the log of the page says why'
    return _response(health(f'The database cannot be read: {reason}'))


def _response(answer: Answer) -> Response:
    return Response(answer.body, answer.status, content_type=answer.kind)
