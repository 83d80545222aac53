"""The peer of the agent's bench: what a person writes in an evening with bleak and paho-mqtt.

Usage: bleak_gateway.py MQTT_PORT ADDRESS...
Connects to each device, subscribes to heart rate (2A37) and continuous oximetry (2A5F), and publishes each value as JSON.
Keeps nothing, seals nothing, waits for no receipt. MQTT_PORT 0: there is no broker, and each message goes to /dev/null.
Prints "first" at the first value and "all" once every device has given one.
"""

import asyncio
import json
import sys
import time

import paho.mqtt.client
from bleak import BleakClient, BleakScanner

HEART_RATE = "00002a37-0000-1000-8000-00805f9b34fb"
OXIMETRY = "00002a5f-0000-1000-8000-00805f9b34fb"


def decode(uuid, octets):
    """The main value; the rest is left to whoever subscribes."""
    if uuid == HEART_RATE:
        wide = octets[0] & 1
        rate = int.from_bytes(octets[1:3], "little") if wide else octets[1]
        return {"heart_rate": rate, "rest": octets[2 + wide :].hex()}
    number = int.from_bytes(octets[1:3], "little")
    return {"spo2": number & 0x0FFF, "pulse_rate": int.from_bytes(octets[3:5], "little") & 0x0FFF}


async def main():
    port, addresses = int(sys.argv[1]), [address.upper() for address in sys.argv[2:]]
    if port:
        client = paho.mqtt.client.Client(paho.mqtt.client.CallbackAPIVersion.VERSION2)
        client.connect("127.0.0.1", port)
        client.loop_start()
        publish = lambda topic, text: client.publish(topic, text, qos=1)
    else:
        nowhere = open("/dev/null", "w", encoding="utf-8")
        publish = lambda topic, text: nowhere.write(text)
    heard = set()

    def note(address, uuid, octets):
        value = decode(uuid, bytes(octets)) | {"at": time.time(), "device": address}
        publish(f"wearables/{address}/{uuid[4:8]}", json.dumps(value))
        if not heard:
            print("first", flush=True)
        if address not in heard:
            heard.add(address)
            if len(heard) == len(addresses):
                print("all", flush=True)

    found = {}
    while len(found) < len(addresses):
        for device in await BleakScanner.discover(timeout=2.0):
            if device.address.upper() in addresses:
                found[device.address.upper()] = device
    clients = []
    for address, device in found.items():
        client_of = BleakClient(device)
        await client_of.connect()
        clients.append(client_of)
        for service in client_of.services:
            for characteristic in service.characteristics:
                uuid = characteristic.uuid
                if uuid in (HEART_RATE, OXIMETRY):
                    await client_of.start_notify(
                        characteristic, lambda _, octets, a=address, u=uuid: note(a, u, octets)
                    )
    await asyncio.Event().wait()


asyncio.run(main())
