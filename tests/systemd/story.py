"""What is done to the two services inside the container, and the verdict. `story.py FOLDER stories|control`."""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

work, mode = pathlib.Path(sys.argv[1]), sys.argv[2]
CONTROL = mode == "control"
AGENT, CENTRE = "vitaltwin-agent", "vitaltwin-aggregator"
STATE = {AGENT: pathlib.Path("/var/lib/vitaltwin-agent"), CENTRE: pathlib.Path("/var/lib/vitaltwin")}
DEVICES = ["C0:00:00:00:01:01", "C0:00:00:00:01:02"]
# What a story relies on, taken away.
TAKEN_AWAY = {
    "ready": "[Service]\nUnsetEnvironment=NOTIFY_SOCKET\nTimeoutStartSec=8\n",
    "works": "[Service]\nStateDirectory=\n",
    "killed": "[Service]\nRestart=no\n",
    "frozen": "[Service]\nWatchdogSec=0\n",
    "stops": "[Service]\nKillSignal=SIGURG\nTimeoutStopSec=3\n",
}
verdicts = []


class Failed(Exception):
    """A story did not go as it must."""


def run(*words, check=True, given=None):
    done = subprocess.run(words, input=given, text=True, capture_output=True)
    if check and done.returncode != 0:
        raise Failed(f"{' '.join(words)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def show(unit, name):
    return run("systemctl", "show", "-p", name, "--value", unit).strip()


def pid(unit):
    return int(show(unit, "MainPID"))


def as_user(unit, *words, given=None):
    user = {AGENT: "vitaltwin-agent", CENTRE: "vitaltwin"}[unit]
    program = f"/usr/bin/{unit}"
    return run("runuser", "-u", user, "--", program, "--dir", str(STATE[unit]), *words, given=given)


def wait_for(what, seconds, look):
    """The seconds it took."""
    begin = time.monotonic()
    while not look():
        if time.monotonic() - begin > seconds:
            raise Failed(f"waited {seconds} s in vain for: {what}")
        time.sleep(0.1)
    return time.monotonic() - begin


def is_up(unit, not_pid=0):
    return show(unit, "ActiveState") == "active" and pid(unit) not in (0, not_pid)


def status():
    """What the running agent wrote last; without one, nothing."""
    try:
        return json.loads((STATE[AGENT] / "status.json").read_text())
    except (OSError, ValueError):
        return {}


def receipted():
    return status().get("readings_receipted", 0)


def goes_on(had):
    """Whether more readings are receipted than were; the agent counts over its lives."""
    return lambda: receipted() > had + 10


def story(name, *units):
    """Runs a story of these units; in the control with what it relies on taken from them, for then it must fail."""

    def decorate(body):
        drop_ins = [pathlib.Path(f"/run/systemd/system/{unit}.service.d/control.conf") for unit in units]
        if CONTROL:
            for drop_in in drop_ins:
                drop_in.parent.mkdir(parents=True, exist_ok=True)
                drop_in.write_text(TAKEN_AWAY[name])
            run("systemctl", "daemon-reload")
            run("systemctl", "start", *({AGENT, CENTRE} - set(units)), check=False)
            if name != "ready":
                run("systemctl", "restart", *units, check=False)
        try:
            said, passed = body(), True
        except Failed as failed:
            said, passed = str(failed).splitlines()[0], False
        verdicts.append(passed != CONTROL)
        words = "passed" if passed else "failed"
        print(f"{'ok ' if passed != CONTROL else 'BAD'} {name}: {words}: {said}", flush=True)
        for drop_in in drop_ins if CONTROL else []:
            drop_in.unlink()
        if CONTROL:
            run("systemctl", "daemon-reload")
            for unit in (AGENT, CENTRE):
                run("systemctl", "kill", "-s", "KILL", f"{unit}.service", check=False)
                run("systemctl", "stop", unit, check=False)
                run("systemctl", "reset-failed", unit, check=False)

    return decorate


def set_up():
    """Packages, a centre, an enrolled gateway, a patient with two wearables."""
    packages = sorted(str(path) for path in work.glob("*.deb"))
    os.environ["DEBIAN_FRONTEND"] = "noninteractive"
    run("dpkg", "-i", *packages)
    for unit in (AGENT, CENTRE):
        if show(unit, "ActiveState") != "inactive" or run("systemctl", "is-enabled", unit).strip() != "enabled":
            raise Failed(f"{unit} must wait, enabled, for what it needs")
    as_user(CENTRE, "init", "--name", "localhost", "--listen", "127.0.0.1:8443", "--mqtt-listen", "127.0.0.1:8883")
    run("systemctl", "start", CENTRE)
    token = as_user(CENTRE, "gateway", "token", "--label", "rig")
    gateway = re.search(r"g-[0-9a-z]+", as_user(AGENT, "enrol", "-", given=token)).group()
    patient = re.search(r"p-[0-9a-z]+", as_user(CENTRE, "patient", "add", "--name", "A. Example")).group()
    devices = [word for device in DEVICES for word in ("--device", device)]
    as_user(CENTRE, "patient", "assign", patient, "--gateway", gateway, *devices)
    run("systemctl", "stop", CENTRE)
    wearables = [str(work / "firmware-sim"), "run", "--scenario", str(work / "one.toml")]
    bus = "unix:path=/run/dbus/system_bus_socket"
    run("systemd-run", "--quiet", "--unit=wearables", *wearables, "--bus", bus)


def exposure(unit):
    """What `systemd-analyze security` makes of the unit: 0 is best."""
    last = run("systemd-analyze", "security", "--no-pager", unit).strip().splitlines()[-1]
    return re.search(r"\d+\.\d+", last).group()


def ready(unit):
    @story("ready", unit)
    def _():
        begin = time.monotonic()
        # Returns when READY=1 came, and fails if it did not.
        run("systemctl", "start", unit)
        seconds = time.monotonic() - begin
        if not is_up(unit) or not show(unit, "StatusText"):
            raise Failed(f"{unit} is {show(unit, 'ActiveState')}, status {show(unit, 'StatusText')!r}")
        return f"READY=1 of {unit} after {seconds:.2f} s"


def works():
    @story("works", AGENT)
    def _():
        seconds = wait_for("receipted readings of the wearables", 40, goes_on(receipted()))
        sandbox = ("CapEff:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2")
        for unit in (AGENT, CENTRE):
            about = pathlib.Path(f"/proc/{pid(unit)}/status").read_text()
            missing = [line for line in sandbox if line not in about]
            if missing or "Uid:\t0" in about:
                raise Failed(f"{unit} runs without its sandbox: {missing}")
        now = status()
        age = time.time() - now["written_us"] / 1e6
        outbox = (STATE[AGENT] / "outbox/db").stat()
        if age > 30 or outbox.st_blocks == 0 or time.time() - outbox.st_mtime > 60:
            raise Failed(f"status.json is {age:.0f} s old, the outbox has {outbox.st_blocks} blocks")
        memory = {unit: int(show(unit, "MemoryCurrent")) / 2**20 for unit in (AGENT, CENTRE)}
        return (
            f"{now['readings_receipted']} readings receipted in {seconds:.1f} s, status.json and outbox written; "
            + "; ".join(f"{unit}: {memory[unit]:.1f} MiB, exposure {exposure(unit)}" for unit in memory)
        )


def killed(unit):
    @story("killed", unit)
    def _():
        had, before, restarts = receipted(), pid(unit), int(show(unit, "NRestarts"))
        os.kill(before, signal.SIGKILL)
        seconds = wait_for(f"{unit} after kill -9", 20, lambda: is_up(unit, before))
        if int(show(unit, "NRestarts")) != restarts + 1:
            raise Failed(f"{unit} was started {int(show(unit, 'NRestarts')) - restarts} times")
        again = wait_for("readings receipted after it", 60, goes_on(had))
        return f"{unit} up again {seconds:.1f} s after kill -9, readings receipted again {again:.1f} s later"


def frozen():
    @story("frozen", AGENT, CENTRE)
    def _():
        before, had = {unit: pid(unit) for unit in (AGENT, CENTRE)}, receipted()
        begin, seconds = time.monotonic(), {}
        for frozen_pid in before.values():
            os.kill(frozen_pid, signal.SIGSTOP)
        while len(seconds) < 2 and time.monotonic() - begin < 80:
            for unit, old in before.items():
                if unit not in seconds and is_up(unit, old):
                    seconds[unit] = time.monotonic() - begin
            time.sleep(0.1)
        if len(seconds) < 2 and not (CONTROL and seconds):
            raise Failed(f"after 80 s only {list(seconds)} came back")
        words = run("journalctl", "--no-pager", "-u", AGENT, "-u", CENTRE)
        for unit in seconds:
            if f"{unit}.service: Watchdog timeout" not in words:
                raise Failed(f"{unit} came back, but not by the watchdog")
        wait_for("readings receipted by the new life", 60, goes_on(had))
        said = (f"{unit} up again after {took:.1f} s" for unit, took in seconds.items())
        return "SIGSTOP, then the watchdog: " + ", ".join(said)


def stops(unit, bound):
    @story("stops", unit)
    def _():
        begin = time.monotonic()
        run("systemctl", "stop", unit)
        seconds = time.monotonic() - begin
        result = show(unit, "Result")
        if result != "success" or seconds > bound:
            raise Failed(f"{unit} stopped after {seconds:.1f} s, {result}")
        if unit == AGENT and "agent stopped" not in run("journalctl", "--no-pager", "-u", AGENT, "-n", "3"):
            raise Failed("the agent did not come to its own end")
        return f"{unit} stopped after {seconds:.1f} s of {bound}"


def stories():
    for unit in (CENTRE, AGENT):
        ready(unit)
    works()
    for unit in (CENTRE, AGENT):
        killed(unit)
    frozen()
    # The centre first: the agent then has nobody to bring its last records to, and must end all the same.
    stops(CENTRE, 60)
    time.sleep(3)
    stops(AGENT, 30)


set_up()
stories()
if not all(verdicts):
    print(run("journalctl", "--no-pager", "-n", "40", "-u", AGENT, "-u", CENTRE, "-u", "wearables"))
print("RESULT: PASS" if all(verdicts) else "RESULT: FAIL")
sys.exit(0 if all(verdicts) else 1)
