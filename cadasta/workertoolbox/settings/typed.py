"""The types of settings, for type checkers alone: those of Celery 5.7.0, and the variables of `Config`.

Made by ``python -m tests.typing.generate``. Change that program, and not this file.
"""

from collections.abc import Mapping
from datetime import timedelta, tzinfo
from typing import Any, TypedDict

_Names = list[str] | tuple[str, ...]
_Path = str | type[Any]


class Keywords(TypedDict, total=False):
    """The keywords that `Config` takes, beside ``QUEUES``."""

    accept_content: _Names | set[str] | frozenset[str] | None
    arangodb_backend_settings: Mapping[str, Any] | None
    azureblockblob_base_path: str | None
    azureblockblob_connection_timeout: int | None
    azureblockblob_container_name: str | None
    azureblockblob_read_timeout: int | None
    azureblockblob_retry_increment_base: int | None
    azureblockblob_retry_initial_backoff_sec: int | None
    azureblockblob_retry_max_attempts: int | None
    beat_cron_starting_deadline: int | None
    beat_enable_remote_control: bool | None
    beat_max_loop_interval: float | None
    beat_remote_control_max_tick_age: float | None
    beat_schedule: Mapping[str, Any] | None
    beat_schedule_filename: str | None
    beat_scheduler: _Path | None
    beat_sync_every: int | None
    broker_channel_error_retry: bool | None
    broker_connection_max_retries: int | None
    broker_connection_retry: bool | None
    broker_connection_retry_on_startup: bool | None
    broker_connection_timeout: float | None
    broker_failover_strategy: Any
    broker_heartbeat: float | None
    broker_heartbeat_checkrate: float | None
    broker_host: str | None
    broker_login_method: str | None
    broker_native_delayed_delivery_queue_type: str | None
    broker_password: str | None
    broker_pool_acquire_timeout: float | None
    broker_pool_limit: int | None
    broker_port: int | None
    broker_read_url: str | _Names | None
    broker_transport: _Path | None
    broker_transport_options: Mapping[str, Any] | None
    broker_url: str | _Names | None
    broker_use_ssl: bool | Mapping[str, Any] | None
    broker_user: str | None
    broker_vhost: str | None
    broker_write_url: str | _Names | None
    cache_backend: str | None
    cache_backend_options: Mapping[str, Any] | None
    cassandra_auth_kwargs: Mapping[str, Any] | None
    cassandra_auth_provider: str | None
    cassandra_bundle_path: str | None
    cassandra_entry_ttl: float | None
    cassandra_keyspace: str | None
    cassandra_options: Mapping[str, Any] | None
    cassandra_port: int | str | None
    cassandra_read_consistency: str | None
    cassandra_servers: _Names | None
    cassandra_table: str | None
    cassandra_write_consistency: str | None
    control_exchange: str | None
    control_queue_durable: bool | None
    control_queue_exclusive: bool | None
    control_queue_expires: float | None
    control_queue_ttl: float | None
    cosmosdbsql_collection_name: str | None
    cosmosdbsql_consistency_level: str | None
    cosmosdbsql_database_name: str | None
    cosmosdbsql_max_retry_attempts: int | None
    cosmosdbsql_max_retry_wait_time: int | None
    couchbase_backend_settings: Mapping[str, Any] | None
    database_create_tables_at_setup: bool | None
    database_engine_callback: Any
    database_engine_options: Mapping[str, Any] | None
    database_short_lived_sessions: bool | None
    database_table_names: Mapping[str, Any] | None
    database_table_schemas: Mapping[str, Any] | None
    database_url: str | None
    elasticsearch_max_retries: int | None
    elasticsearch_retry_on_timeout: bool | None
    elasticsearch_save_meta_as_text: bool | None
    elasticsearch_timeout: float | None
    enable_utc: bool | None
    event_exchange: str | None
    event_queue_durable: bool | None
    event_queue_exclusive: bool | None
    event_queue_expires: float | None
    event_queue_prefix: str | None
    event_queue_ttl: float | None
    event_serializer: str | None
    gcs_base_path: str | None
    gcs_bucket: str | None
    gcs_project: str | None
    gcs_ttl: float | None
    imports: _Names | None
    include: _Names | None
    mongodb_backend_settings: Mapping[str, Any] | None
    redis_backend_use_ssl: bool | Mapping[str, Any] | None
    redis_db: int | None
    redis_host: str | None
    redis_max_connections: int | None
    redis_password: str | None
    redis_port: int | None
    redis_retry_on_timeout: bool | None
    redis_socket_connect_timeout: float | None
    redis_socket_keepalive: bool | None
    redis_socket_timeout: float | None
    redis_username: str | None
    result_accept_content: _Names | set[str] | frozenset[str] | None
    result_backend: str | type[Any] | None
    result_backend_always_retry: bool | None
    result_backend_base_sleep_between_retries_ms: int | None
    result_backend_max_retries: float | None
    result_backend_max_sleep_between_retries_ms: int | None
    result_backend_transport_options: Mapping[str, Any] | None
    result_cache_max: int | None
    result_chord_expires: float | timedelta | None
    result_chord_join_timeout: float | None
    result_chord_retry_interval: float | None
    result_compression: str | None
    result_exchange: str | None
    result_exchange_type: str | None
    result_expires: float | timedelta | None
    result_extended: bool | None
    result_failure_expires: float | timedelta | None
    result_persistent: bool | None
    result_serializer: str | None
    s3_access_key_id: str | None
    s3_base_path: str | None
    s3_bucket: str | None
    s3_endpoint_url: str | None
    s3_region: str | None
    s3_secret_access_key: str | None
    security_cert_store: str | None
    security_certificate: str | None
    security_digest: str | None
    security_key: str | None
    security_key_password: bytes | str | None
    task_acks_late: bool | None
    task_acks_on_failure: bool | None
    task_acks_on_failure_or_timeout: bool | None
    task_acks_on_timeout: bool | None
    task_allow_error_cb_on_chord_header: bool | None
    task_always_eager: bool | None
    task_annotations: Any
    task_compression: str | None
    task_create_missing_queue_exchange_type: str | None
    task_create_missing_queue_type: str | None
    task_create_missing_queues: bool | None
    task_default_delivery_mode: int | str | None
    task_default_exchange: str | None
    task_default_exchange_type: str | None
    task_default_priority: int | None
    task_default_queue: str | None
    task_default_queue_type: str | None
    task_default_rate_limit: float | str | None
    task_default_routing_key: str | None
    task_eager_propagates: bool | None
    task_ignore_result: bool | None
    task_inherit_parent_priority: bool | None
    task_protocol: int | None
    task_publish_retry: bool | None
    task_publish_retry_policy: Mapping[str, Any] | None
    task_queue_max_priority: int | None
    task_queues: Any
    task_reject_on_worker_lost: bool | None
    task_remote_tracebacks: bool | None
    task_repr_maxlevels: int | None
    task_retry_on_worker_lost: bool | None
    task_routes: Any
    task_send_sent_event: bool | None
    task_serializer: str | None
    task_soft_time_limit: float | None
    task_store_eager_result: bool | None
    task_store_errors_even_if_ignored: bool | None
    task_time_limit: float | None
    task_track_started: bool | None
    timezone: str | tzinfo | None
    worker_agent: _Path | None
    worker_autoscaler: _Path | None
    worker_cancel_long_running_tasks_on_connection_loss: bool | None
    worker_concurrency: int | str | None
    worker_consumer: _Path | None
    worker_deduplicate_successful_tasks: bool | None
    worker_detect_quorum_queues: bool | None
    worker_direct: bool | None
    worker_disable_prefetch: bool | None
    worker_disable_rate_limits: bool | None
    worker_enable_prefetch_count_reduction: bool | None
    worker_enable_remote_control: bool | None
    worker_enable_soft_shutdown_on_idle: bool | None
    worker_eta_task_limit: int | None
    worker_hijack_root_logger: bool | None
    worker_log_color: bool | None
    worker_log_datefmt: str | None
    worker_log_format: str | None
    worker_lost_wait: float | None
    worker_max_memory_per_child: int | None
    worker_max_tasks_per_child: int | None
    worker_pool: _Path | None
    worker_pool_putlocks: bool | None
    worker_pool_restarts: bool | None
    worker_pool_start_method: str | None
    worker_prefetch_multiplier: int | None
    worker_proc_alive_timeout: float | None
    worker_redirect_stdouts: bool | None
    worker_redirect_stdouts_level: int | str | None
    worker_send_task_events: bool | None
    worker_soft_shutdown_timeout: float | None
    worker_state_db: str | None
    worker_task_log_datefmt: str | None
    worker_task_log_format: str | None
    worker_timer: _Path | None
    worker_timer_precision: float | None
    override_backends: Mapping[str, str]
    PLATFORM_QUEUE_NAME: str
    QUEUE_NAME_PREFIX: str
    RESULT_DB_USER: str
    RESULT_DB_PASS: str
    RESULT_DB_HOST: str
    RESULT_DB_PORT: int | str
    RESULT_DB_NAME: str
    CHORD_UNLOCK_MAX_RETRIES: int
    RUN_ONCE: bool
    FAIR_QUEUES: bool
    REPORT: bool
    ENV_PREFIX: str
    QUEUE_PREFIX: str


class Base(Mapping[str, Any]):
    """The attributes that a `Config` has."""

    accept_content: _Names | set[str] | frozenset[str] | None
    arangodb_backend_settings: Mapping[str, Any] | None
    azureblockblob_base_path: str | None
    azureblockblob_connection_timeout: int | None
    azureblockblob_container_name: str | None
    azureblockblob_read_timeout: int | None
    azureblockblob_retry_increment_base: int | None
    azureblockblob_retry_initial_backoff_sec: int | None
    azureblockblob_retry_max_attempts: int | None
    beat_cron_starting_deadline: int | None
    beat_enable_remote_control: bool | None
    beat_max_loop_interval: float | None
    beat_remote_control_max_tick_age: float | None
    beat_schedule: Mapping[str, Any] | None
    beat_schedule_filename: str | None
    beat_scheduler: _Path | None
    beat_sync_every: int | None
    broker_channel_error_retry: bool | None
    broker_connection_max_retries: int | None
    broker_connection_retry: bool | None
    broker_connection_retry_on_startup: bool | None
    broker_connection_timeout: float | None
    broker_failover_strategy: Any
    broker_heartbeat: float | None
    broker_heartbeat_checkrate: float | None
    broker_host: str | None
    broker_login_method: str | None
    broker_native_delayed_delivery_queue_type: str | None
    broker_password: str | None
    broker_pool_acquire_timeout: float | None
    broker_pool_limit: int | None
    broker_port: int | None
    broker_read_url: str | _Names | None
    broker_transport: _Path | None
    broker_transport_options: Mapping[str, Any]
    broker_url: str | _Names | None
    broker_use_ssl: bool | Mapping[str, Any] | None
    broker_user: str | None
    broker_vhost: str | None
    broker_write_url: str | _Names | None
    cache_backend: str | None
    cache_backend_options: Mapping[str, Any] | None
    cassandra_auth_kwargs: Mapping[str, Any] | None
    cassandra_auth_provider: str | None
    cassandra_bundle_path: str | None
    cassandra_entry_ttl: float | None
    cassandra_keyspace: str | None
    cassandra_options: Mapping[str, Any] | None
    cassandra_port: int | str | None
    cassandra_read_consistency: str | None
    cassandra_servers: _Names | None
    cassandra_table: str | None
    cassandra_write_consistency: str | None
    control_exchange: str | None
    control_queue_durable: bool | None
    control_queue_exclusive: bool | None
    control_queue_expires: float | None
    control_queue_ttl: float | None
    cosmosdbsql_collection_name: str | None
    cosmosdbsql_consistency_level: str | None
    cosmosdbsql_database_name: str | None
    cosmosdbsql_max_retry_attempts: int | None
    cosmosdbsql_max_retry_wait_time: int | None
    couchbase_backend_settings: Mapping[str, Any] | None
    database_create_tables_at_setup: bool | None
    database_engine_callback: Any
    database_engine_options: Mapping[str, Any] | None
    database_short_lived_sessions: bool | None
    database_table_names: Mapping[str, Any] | None
    database_table_schemas: Mapping[str, Any] | None
    database_url: str | None
    elasticsearch_max_retries: int | None
    elasticsearch_retry_on_timeout: bool | None
    elasticsearch_save_meta_as_text: bool | None
    elasticsearch_timeout: float | None
    enable_utc: bool | None
    event_exchange: str | None
    event_queue_durable: bool | None
    event_queue_exclusive: bool | None
    event_queue_expires: float | None
    event_queue_prefix: str | None
    event_queue_ttl: float | None
    event_serializer: str | None
    gcs_base_path: str | None
    gcs_bucket: str | None
    gcs_project: str | None
    gcs_ttl: float | None
    imports: _Names | None
    include: _Names | None
    mongodb_backend_settings: Mapping[str, Any] | None
    redis_backend_use_ssl: bool | Mapping[str, Any] | None
    redis_db: int | None
    redis_host: str | None
    redis_max_connections: int | None
    redis_password: str | None
    redis_port: int | None
    redis_retry_on_timeout: bool | None
    redis_socket_connect_timeout: float | None
    redis_socket_keepalive: bool | None
    redis_socket_timeout: float | None
    redis_username: str | None
    result_accept_content: _Names | set[str] | frozenset[str] | None
    result_backend: str | type[Any] | None
    result_backend_always_retry: bool | None
    result_backend_base_sleep_between_retries_ms: int | None
    result_backend_max_retries: float | None
    result_backend_max_sleep_between_retries_ms: int | None
    result_backend_transport_options: Mapping[str, Any] | None
    result_cache_max: int | None
    result_chord_expires: float | timedelta | None
    result_chord_join_timeout: float | None
    result_chord_retry_interval: float | None
    result_compression: str | None
    result_exchange: str | None
    result_exchange_type: str | None
    result_expires: float | timedelta | None
    result_extended: bool | None
    result_failure_expires: float | timedelta | None
    result_persistent: bool | None
    result_serializer: str | None
    s3_access_key_id: str | None
    s3_base_path: str | None
    s3_bucket: str | None
    s3_endpoint_url: str | None
    s3_region: str | None
    s3_secret_access_key: str | None
    security_cert_store: str | None
    security_certificate: str | None
    security_digest: str | None
    security_key: str | None
    security_key_password: bytes | str | None
    task_acks_late: bool | None
    task_acks_on_failure: bool | None
    task_acks_on_failure_or_timeout: bool | None
    task_acks_on_timeout: bool | None
    task_allow_error_cb_on_chord_header: bool | None
    task_always_eager: bool | None
    task_annotations: Any
    task_compression: str | None
    task_create_missing_queue_exchange_type: str | None
    task_create_missing_queue_type: str | None
    task_create_missing_queues: bool | None
    task_default_delivery_mode: int | str | None
    task_default_exchange: str
    task_default_exchange_type: str
    task_default_priority: int | None
    task_default_queue: str | None
    task_default_queue_type: str | None
    task_default_rate_limit: float | str | None
    task_default_routing_key: str | None
    task_eager_propagates: bool | None
    task_ignore_result: bool | None
    task_inherit_parent_priority: bool | None
    task_protocol: int | None
    task_publish_retry: bool | None
    task_publish_retry_policy: Mapping[str, Any] | None
    task_queue_max_priority: int | None
    task_queues: Any
    task_reject_on_worker_lost: bool | None
    task_remote_tracebacks: bool | None
    task_repr_maxlevels: int | None
    task_retry_on_worker_lost: bool | None
    task_routes: Any
    task_send_sent_event: bool | None
    task_serializer: str | None
    task_soft_time_limit: float | None
    task_store_eager_result: bool | None
    task_store_errors_even_if_ignored: bool | None
    task_time_limit: float | None
    task_track_started: bool | None
    timezone: str | tzinfo | None
    worker_agent: _Path | None
    worker_autoscaler: _Path | None
    worker_cancel_long_running_tasks_on_connection_loss: bool | None
    worker_concurrency: int | str | None
    worker_consumer: _Path | None
    worker_deduplicate_successful_tasks: bool | None
    worker_detect_quorum_queues: bool | None
    worker_direct: bool | None
    worker_disable_prefetch: bool | None
    worker_disable_rate_limits: bool | None
    worker_enable_prefetch_count_reduction: bool | None
    worker_enable_remote_control: bool | None
    worker_enable_soft_shutdown_on_idle: bool | None
    worker_eta_task_limit: int | None
    worker_hijack_root_logger: bool | None
    worker_log_color: bool | None
    worker_log_datefmt: str | None
    worker_log_format: str | None
    worker_lost_wait: float | None
    worker_max_memory_per_child: int | None
    worker_max_tasks_per_child: int | None
    worker_pool: _Path | None
    worker_pool_putlocks: bool | None
    worker_pool_restarts: bool | None
    worker_pool_start_method: str | None
    worker_prefetch_multiplier: int | None
    worker_proc_alive_timeout: float | None
    worker_redirect_stdouts: bool | None
    worker_redirect_stdouts_level: int | str | None
    worker_send_task_events: bool | None
    worker_soft_shutdown_timeout: float | None
    worker_state_db: str | None
    worker_task_log_datefmt: str | None
    worker_task_log_format: str | None
    worker_timer: _Path | None
    worker_timer_precision: float | None
    override_backends: Mapping[str, str]
    PLATFORM_QUEUE_NAME: str
    QUEUE_NAME_PREFIX: str
    RESULT_DB_USER: str
    RESULT_DB_PASS: str
    RESULT_DB_HOST: str
    RESULT_DB_PORT: int | str
    RESULT_DB_NAME: str
    CHORD_UNLOCK_MAX_RETRIES: int
    RUN_ONCE: bool
    FAIR_QUEUES: bool
    REPORT: bool
    ENV_PREFIX: str
    QUEUES: _Names
