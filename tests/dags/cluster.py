"""As much of a Kubernetes API server as the operator asks for: it keeps the pods that it is given, and says of them what a test says."""

import json
import re
import threading
from http.server import ThreadingHTTPServer
from urllib.parse import urlsplit

from tests.http_servers import Answering

POD = re.compile(r"/api/v1/namespaces/(?P<namespace>[^/]+)/pods(/(?P<name>[^/]+)(?P<log>/log)?)?")


class Cluster(ThreadingHTTPServer):
    """`pods` by name, as the client sent them and with the status that a test gives them; `log` is every container's log,
    and `refusal` why it takes no pod."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.pods = {}
        self.deleted = []
        self.log = ""
        self.refusal = None
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def kubeconfig(self):
        cluster = {"name": "c", "cluster": {"server": f"http://127.0.0.1:{self.server_port}"}}
        context = {"name": "c", "context": {"cluster": "c", "user": "u"}}
        user = {"name": "u", "user": {"token": "t"}}
        lists = {"clusters": [cluster], "contexts": [context], "users": [user]}
        return json.dumps({"apiVersion": "v1", "kind": "Config", "current-context": "c", **lists})

    def end(self, **terminated):
        """Let every pod's container end."""
        for pod in self.pods.values():
            state = {"terminated": {"exitCode": 0, "reason": "Completed", **terminated}}
            status = {"name": "base", "image": "i", "imageID": "i", "ready": False, "restartCount": 0, "state": state}
            pod["status"] = {"phase": "Failed" if terminated.get("exitCode") else "Succeeded", "containerStatuses": [status]}


class _Handler(Answering):
    def _answer(self, body, code=200):
        self.answer(code, json.dumps(body).encode(), **{"content-type": "application/json"})

    def do_GET(self):
        pod = POD.fullmatch(urlsplit(self.path).path)
        if pod is None:
            self._answer({"kind": "EventList", "items": []})
        elif pod["log"]:
            self.answer(200, self.server.log.encode(), **{"content-type": "text/plain"})
        elif pod["name"] is None:
            self._answer({"kind": "PodList", "items": list(self.server.pods.values())})
        elif pod["name"] in self.server.pods:
            self._answer(self.server.pods[pod["name"]])
        else:
            self._answer({"kind": "Status", "code": 404}, 404)

    def do_POST(self):
        pod = json.loads(self.body())
        if self.server.refusal:
            self._answer({"kind": "Status", "code": 403, "message": self.server.refusal}, 403)
            return
        self.server.pods[pod["metadata"]["name"]] = pod | {"status": {"phase": "Pending"}}
        self._answer(pod, 201)

    def do_PATCH(self):
        self.body()
        self._answer(self.server.pods[POD.fullmatch(urlsplit(self.path).path)["name"]])

    def do_DELETE(self):
        self.body()
        self.server.deleted.append(POD.fullmatch(urlsplit(self.path).path)["name"])
        self._answer(self.server.pods.pop(self.server.deleted[-1]))
