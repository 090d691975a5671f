"""A member of a group for the Python drivers: a thread polls, commands ask what it was given and what it has read."""

import queue
import threading
import traceback


class Member:
    """`poll` is called until the stop: it returns [(partition, offset)] that were read and committed."""

    def __init__(self):
        self.lock = threading.Lock()
        self.thread = None
        self.running = False
        self.assigned, self.rounds, self.seen, self.error = [], 0, [], None
        self.asked, self.done = queue.Queue(), queue.Queue()

    def on_assign(self, partitions):
        with self.lock:
            self.assigned, self.rounds = sorted(partitions), self.rounds + 1

    def on_revoke(self):
        with self.lock:
            self.assigned = []

    def start(self, poll, close):
        self.running = True
        self.thread = threading.Thread(target=self.loop, args=(poll, close), daemon=True)
        self.thread.start()
        return {}

    def loop(self, poll, close):
        try:
            while self.running:
                if not self.asked.empty():
                    self.asked.get()()
                    self.done.put(True)
                read = poll()
                with self.lock:
                    self.seen += read
            close()
        except Exception:  # pylint: disable=broad-except
            self.error = traceback.format_exc()

    def ask(self, action):
        """Runs `action` between two polls, in their thread: a client belongs to one thread. Waits for it."""
        self.asked.put(action)
        try:
            self.done.get(timeout=30)
        except queue.Empty:
            raise RuntimeError(self.error or "the member does not poll") from None
        return {}

    def state(self):
        if self.error:
            raise RuntimeError(self.error)
        with self.lock:
            seen, self.seen = self.seen, []
            return {"assigned": self.assigned, "rounds": self.rounds, "seen": seen}

    def stop(self):
        self.running = False
        self.thread.join(30)
        if self.error or self.thread.is_alive():
            raise RuntimeError(self.error or "the member did not stop")
        return {}
