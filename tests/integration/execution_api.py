"""Build, when imported, the API that `dag.test()` calls in process: it takes five seconds, once before processes are forked."""

import asyncio

import httpx
from airflow.sdk.execution_time.supervisor import in_process_api_server


async def _build() -> None:
    """Send a request: Airflow builds the routes at the first one."""
    transport = httpx.ASGITransport(app=in_process_api_server().app)
    async with httpx.AsyncClient(transport=transport, base_url="http://airflow.test") as client:
        (await client.get("/health")).raise_for_status()


asyncio.run(_build())
