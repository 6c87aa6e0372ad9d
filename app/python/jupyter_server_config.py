# Settings of the private JupyterLab: each message to the browser leaves at once (without this, the one after a busy
# status waits for the previous one's acknowledgement, about 40 ms, and widgets feel slow).
from jupyter_server.services.kernels.websocket import KernelWebsocketHandler

_open = KernelWebsocketHandler.open


async def _open_without_delay(self, *args, **kwargs):
    self.set_nodelay(True)
    return await _open(self, *args, **kwargs)


KernelWebsocketHandler.open = _open_without_delay
