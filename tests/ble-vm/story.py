"""The stories of the guest: the real vitaltwin-agent, the real bluetoothd, the centre beside them, straps by Bumble.

Each story says what it asks of the agent and compares what the strap really sent with what the centre receipted. A story
that fails is said with both books, and the others go on. The last line is the verdict: "RESULT: PASS" only if all passed;
for the control, which starts no agent, only if none did.
"""

import asyncio
import json
import os
import signal
import sys
import time

import world

CENTRE, AGENT = "/root/centre", "/root/agent"
LOGS = "/run/log"
# A value of these straps is three readings: rate, energy, one interval.
READINGS = 3
# Nothing takes longer under emulation unless it is broken.
PATIENCE = 180


def say(*words):
    with open("/proc/uptime") as file:
        print(f"{file.read().split()[0]:>8}", *words, flush=True)


class Failed(Exception):
    pass


async def until(what, true, patience=None):
    patience = patience or PATIENCE
    deadline = time.monotonic() + patience
    while not true():
        if time.monotonic() > deadline:
            raise Failed(f"not within {patience} s: {what}")
        await asyncio.sleep(0.5)


async def call(*command, stdin=None):
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate(stdin and stdin.encode())
    if process.returncode:
        raise Failed(f"{' '.join(command[:4])}: {err.decode().strip()}")
    return out.decode().strip()


async def start(log, *command):
    file = open(f"{LOGS}/{log}", "ab")
    said = dict(os.environ, RUST_LOG="info,vitaltwin_agent::ble=debug")
    return await asyncio.create_subprocess_exec(*command, stdout=file, stderr=file, env=said)


async def show_daemon():
    """What bluetoothd knows, for the log."""
    asked = ("dbus-send", "--system", "--print-reply", "--dest=org.bluez", "/", "org.freedesktop.DBus.ObjectManager.GetManagedObjects")
    try:
        answer = (await call(*asked)).splitlines()
    except Failed as failure:
        answer = [str(failure)]
    # Paths, and values of what is true or false.
    for line in answer:
        if "object path" in line or "boolean" in line or '"Connected"' in line or '"ServicesResolved"' in line or '"Powered"' in line:
            print("  daemon:", line.strip(), flush=True)


class Gateway:
    """bluetoothd, agent and centre of this guest. A bluetoothd that dies by itself is started again, as systemd would."""

    def __init__(self, dongle, control):
        self.dongle, self.control = dongle, control
        self.daemon = self.agent = self.centre = self.keeper = None
        self.crashes = 0
        self.patient = self.gateway = None
        self.config = ""

    async def start_daemon(self):
        self.daemon = await start("bluetoothd.log", "bluetoothd", "-n")
        deadline = time.monotonic() + PATIENCE
        while True:
            ask = await asyncio.create_subprocess_exec(
                "dbus-send", "--system", "--type=method_call", "--print-reply", "--dest=org.bluez", "/org/bluez/hci0",
                "org.freedesktop.DBus.Properties.Get", "string:org.bluez.Adapter1", "string:Address",
                stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
            )
            if await ask.wait() == 0:
                return
            if time.monotonic() > deadline:
                raise Failed("bluetoothd shows no adapter")
            await asyncio.sleep(0.2)

    async def fresh_daemon(self):
        """One that remembers nothing of the former story."""
        if self.keeper:
            self.keeper.cancel()
        if self.daemon:
            await self.end_daemon()
        await self.start_daemon()
        self.crashes = 0
        self.keeper = asyncio.ensure_future(self.keep_daemon())

    async def keep_daemon(self):
        while True:
            daemon = self.daemon
            ended = await daemon.wait()
            if daemon is not self.daemon:
                # Ended by a story, which starts the next one.
                while self.daemon in (None, daemon):
                    await asyncio.sleep(0.2)
            else:
                self.crashes += 1
                say("bluetoothd ended by itself:", ended)
                await asyncio.sleep(1)
                await self.start_daemon()

    async def end_daemon(self, how=signal.SIGTERM):
        daemon, self.daemon = self.daemon, None
        daemon.send_signal(how)
        await daemon.wait()

    async def kill_bus(self):
        """The bus dies and takes bluetoothd with it; both are started again, as systemd would."""
        daemon, self.daemon = self.daemon, None
        await call("/bin/busybox", "killall", "-9", "dbus-daemon")
        await daemon.wait()
        bus = await start("bus.log", "dbus-daemon", "--system", "--fork", "--nopidfile")
        await bus.wait()
        await self.start_daemon()

    async def start_centre(self):
        await call("vitaltwin-aggregator", "--dir", CENTRE, "init", "--name", "localhost")
        self.centre = await start("centre.log", "vitaltwin-aggregator", "--dir", CENTRE, "run")
        await until("the centre listens", lambda: os.path.exists(f"{CENTRE}/run/ready.json"))
        self.patient = await call("vitaltwin-aggregator", "--dir", CENTRE, "patient", "add", "--test-data")
        made = json.loads(await call("vitaltwin-aggregator", "--dir", CENTRE, "gateway", "token", "--json"))
        self.gateway = made["gateway"]
        await call("vitaltwin-agent", "--dir", AGENT, "enrol", "-", stdin=made["token"])
        if os.path.exists(f"{AGENT}/config.toml"):
            with open(f"{AGENT}/config.toml") as file:
                self.config = file.read()

    async def assign(self, *straps):
        devices = [word for strap in straps for word in ("--device", strap.address)]
        await call("vitaltwin-aggregator", "--dir", CENTRE, "patient", "assign", self.patient, "--gateway", self.gateway, *devices)

    async def start_agent(self, *options):
        """With lines of its configuration beside the usual ones."""
        if self.control:
            return
        with open(f"{AGENT}/config.toml", "w") as file:
            print(self.config, "silence_s = 10", *options, sep="\n", file=file)
        self.agent = await start("agent.log", "vitaltwin-agent", "--dir", AGENT, "run")
        await until("the agent says how it is", lambda: self.status() is not None)

    async def pair(self, strap, *how):
        """What an operator does."""
        if not self.control:
            await call("vitaltwin-agent", "--dir", AGENT, "pair", strap.address, *how)

    async def end_agent(self, how=signal.SIGTERM):
        if not self.agent:
            return
        self.agent.send_signal(how)
        await self.agent.wait()
        # What it says next is of its next life.
        if os.path.exists(f"{AGENT}/status.json"):
            os.remove(f"{AGENT}/status.json")

    def status(self):
        try:
            with open(f"{AGENT}/status.json") as file:
                return json.load(file)
        except (FileNotFoundError, json.JSONDecodeError):
            return None

    def readings(self, strap):
        """Readings of this strap since the agent's start."""
        devices = (self.status() or {}).get("devices", [])
        return sum(d["readings"] for d in devices if d["address"].upper() == strap.address)

    def trouble(self):
        """What the agent says is wrong with its radio."""
        return (self.status() or {}).get("radio_trouble") or ""

    async def all_receipted(self):
        def drained():
            status = self.status()
            return status and status["readings_decoded"] == status["readings_receipted"]
        await until("the centre has receipted what was decoded", drained)


class Room:
    """A strap in reach while a story lasts."""

    def __init__(self, air):
        self.air, self.straps, self.tasks = air, [], []

    def put(self, number, **habits):
        strap = world.Strap(self.air, number, **habits)
        self.straps.append(strap)
        self.tasks.append(asyncio.ensure_future(strap.run()))
        return strap

    async def clear(self):
        for task in self.tasks:
            task.cancel()
        for strap in self.straps:
            if strap.connection:
                try:
                    await asyncio.wait_for(strap.connection.disconnect(), 5)
                except Exception as error:
                    say("a link would not end:", repr(error))
            try:
                await asyncio.wait_for(strap.device.stop_advertising(), 5)
            except Exception as error:
                say("an advert would not end:", repr(error))


async def drops(gateway, room):
    """Three links, two of them ended by the strap: every value of the strap arrives, none twice."""
    strap = room.put(1, drop=24, limit=60)
    await gateway.assign(strap)
    await gateway.start_agent()
    await until("sixty values were sent", lambda: strap.sent == 60)
    await until("all of them were decoded", lambda: gateway.readings(strap) >= 60 * READINGS, 20)
    await gateway.all_receipted()
    found = gateway.readings(strap)
    if found != 60 * READINGS or strap.drops != 2 or strap.links < 3:
        raise Failed(f"{found} readings for {60 * READINGS}")


async def daemon_killed(gateway, room):
    """bluetoothd dies under a live link and comes back: values come again."""
    strap = room.put(2)
    await gateway.assign(strap)
    await gateway.start_agent()
    await until("values come", lambda: gateway.readings(strap) >= 10 * READINGS)
    await gateway.end_daemon(signal.SIGKILL)
    before = gateway.readings(strap)
    await asyncio.sleep(1)
    await gateway.start_daemon()
    await until("values come again", lambda: gateway.readings(strap) >= before + 20 * READINGS)
    await gateway.all_receipted()


async def agent_killed(gateway, room):
    """The agent dies and leaves its link up, so that the strap does not advertise: its next life takes it over."""
    strap = room.put(3)
    await gateway.assign(strap)
    await gateway.start_agent()
    await until("values come", lambda: gateway.readings(strap) >= 5 * READINGS)
    await gateway.end_agent(signal.SIGKILL)
    await asyncio.sleep(1)
    await gateway.start_agent()
    await until("values come again", lambda: gateway.readings(strap) >= 10 * READINGS)
    await gateway.all_receipted()


async def bonds(gateway, room):
    """A strap that lets only bonded gateways listen, paired by an operator: one bond for three links, each value once."""
    strap = room.put(4, bond=True, drop=12, limit=36)
    await gateway.assign(strap)
    await gateway.pair(strap)
    await gateway.start_agent()
    await until("36 values were sent", lambda: strap.sent == 36)
    await until("all of them were decoded", lambda: gateway.readings(strap) >= 36 * READINGS, 20)
    await gateway.all_receipted()
    if gateway.readings(strap) != 36 * READINGS or strap.links < 3:
        raise Failed(f"{gateway.readings(strap)} readings for {36 * READINGS}")
    if strap.bonds != 1:
        raise Failed(f"{strap.bonds} bonds for one")


async def passkey(gateway, room):
    """The same with six digits on the strap's label; the wrong ones make no bond."""
    strap = room.put(8, bond=True, passkey=271828)
    await gateway.assign(strap)
    try:
        await gateway.pair(strap, "--pin", "314159")
    except Failed as refused:
        say("  as it must be:", refused)
    if strap.bonds:
        raise Failed("a bond by wrong digits")
    await gateway.pair(strap, "--pin", "271828")
    await gateway.start_agent()
    await until("values come", lambda: gateway.readings(strap) >= 10 * READINGS)
    await gateway.all_receipted()


async def bus_killed(gateway, room):
    """The system bus dies, which tells its clients nothing: values come again over the next one."""
    strap = room.put(11)
    await gateway.assign(strap)
    await gateway.start_agent()
    await until("values come", lambda: gateway.readings(strap) >= 10 * READINGS)
    before = gateway.readings(strap)
    await gateway.kill_bus()
    await until("values come again", lambda: gateway.readings(strap) >= before + 20 * READINGS)
    await gateway.all_receipted()


async def unplugged(gateway, room):
    """The dongle is pulled out under a live link and put back: the agent says so, and values come again."""
    strap = room.put(9)
    await gateway.assign(strap)
    await gateway.start_agent()
    await until("values come", lambda: gateway.readings(strap) >= 10 * READINGS)
    await gateway.dongle.unplug()
    await until("the agent says that there is no adapter", lambda: "no Bluetooth adapter" in gateway.trouble())
    before = gateway.readings(strap)
    gateway.dongle = await world.dongle(room.air)
    await until("values come again", lambda: gateway.readings(strap) >= before + 20 * READINGS)
    if gateway.trouble():
        raise Failed(f"still called trouble: {gateway.trouble()}")
    await gateway.all_receipted()


async def switched_off(gateway, room):
    """Somebody switches the adapter off: the agent switches it on again, and values come again."""
    strap = room.put(10)
    await gateway.assign(strap)
    await gateway.start_agent()
    await until("values come", lambda: gateway.readings(strap) >= 10 * READINGS)
    links = strap.links
    await call(
        "dbus-send", "--system", "--print-reply", "--dest=org.bluez", "/org/bluez/hci0", "org.freedesktop.DBus.Properties.Set",
        "string:org.bluez.Adapter1", "string:Powered", "variant:boolean:false",
    )
    before = gateway.readings(strap)
    await until("values come again", lambda: gateway.readings(strap) >= before + 20 * READINGS)
    await gateway.all_receipted()
    if strap.links == links:
        raise Failed("the adapter was never off")


async def turns(gateway, room, *options):
    """Three straps, a controller of two links: each gets its turn, and who gave way for another gets a second one."""
    gateway.dongle.slots = 2
    straps = [room.put(number, period=1) for number in (5, 6, 7)]
    await gateway.assign(*straps)
    await gateway.start_agent(*options)
    enough = lambda: all(gateway.readings(strap) >= 5 * READINGS for strap in straps)
    await until("each strap was heard", enough, 2 * PATIENCE)
    again = lambda: sum(strap.subscriptions >= 2 for strap in straps)
    before = again()
    await until("who gave way is heard again", lambda: again() > before)
    await gateway.all_receipted()


async def slots_told(gateway, room):
    """More straps than links, and the agent was told how many links there are."""
    await turns(gateway, room, "most_links = 2")
    if gateway.dongle.refusals:
        raise Failed("it asked for a link too many")


async def slots(gateway, room):
    """More straps than links, and the agent has to find out: the daemon gives no such reason."""
    await turns(gateway, room)
    if not gateway.dongle.refusals:
        raise Failed("the controller refused nothing")


STORIES = {
    story.__name__: story
    for story in (
        drops, agent_killed, bonds, passkey, daemon_killed, bus_killed, unplugged, switched_off, slots_told, slots
    )
}


async def tell(name, gateway, air):
    """One story from a quiet room to a quiet room; true if it went well."""
    room, began, why = Room(air), time.monotonic(), ""
    try:
        await gateway.fresh_daemon()
        await STORIES[name](gateway, room)
    except Failed as failure:
        why = str(failure)
    for strap in room.straps:
        say("  strap", strap.books(), "| agent:", gateway.readings(strap), "readings")
    if why:
        say("  controller: refused", gateway.dongle.refusals, "links")
        status = gateway.status() or {}
        links = [f"{d['address']} {d['link']}" for d in status.get("devices", [])]
        await show_daemon()
        say("  agent: radio trouble", repr(gateway.trouble()), "links", links)
        if not gateway.control:
            tails()
    if gateway.agent and gateway.agent.returncode is None:
        await gateway.end_agent()
    await room.clear()
    gateway.dongle.slots = gateway.dongle.refusals = 0
    if gateway.crashes:
        say("  bluetoothd ended by itself", gateway.crashes, "times")
    print(f"story {name}: {'FAIL, ' + why if why else 'pass'} ({time.monotonic() - began:.0f} s)", flush=True)
    return not why


def tails():
    """What each program said last."""
    for name in sorted(os.listdir(LOGS)):
        with open(f"{LOGS}/{name}", errors="replace") as file:
            lines = file.read().splitlines()[-40:]
        print(f"--- the end of {name}", *lines, sep="\n", flush=True)


async def main():
    global PATIENCE
    with open("/stories") as file:
        mode, *wanted = file.read().split()
    control, wanted = mode == "control", wanted or list(STORIES)
    air = world.Air()
    gateway = Gateway(await world.dongle(air), control)
    say("controller is plugged in")
    await gateway.start_centre()
    say("centre is up, gateway enrolled")
    if control:
        PATIENCE = 60
    passed = [await tell(name, gateway, air) for name in wanted]
    if control:
        print("RESULT:", "FAIL: a story passes without an agent" if any(passed) else "PASS", flush=True)
        return
    print("RESULT:", "PASS" if all(passed) else f"FAIL {passed.count(False)} of {len(passed)} stories", flush=True)


try:
    asyncio.run(main())
except Exception as error:
    tails()
    print("RESULT: FAIL", repr(error), flush=True)
sys.exit(0)
