import assert from "node:assert/strict";
import { test } from "node:test";
import { Player } from "../src/replay.ts";

function rig(show: (at: number) => void = () => {}) {
  const shown: number[] = [];
  const waited: number[] = [];
  let now = 0;
  const player: Player = new Player(
    {
      show: async (at) => {
        shown.push(at);
        now += 400;
        show(at);
      },
      wait: async (ms) => {
        waited.push(ms);
        now += ms;
      },
      now: () => now,
      changed: () => {},
    },
    [100, 200],
    30,
    1000,
  );
  return { player, shown, waited };
}

test("it plays to the end, waits for each picture, and begins anew after it", async () => {
  const { player, shown, waited } = rig();
  await player.play();
  assert.deepEqual(shown, [130, 160, 190, 200]);
  assert.deepEqual(waited, [600, 600, 600]);
  assert.equal(player.playing, false);
  player.step = 60;
  await player.play();
  assert.deepEqual(shown.slice(4), [160, 200]);
});

test("a pause and a seek stop it where they are, whatever is on its way", async () => {
  const { player, shown } = rig((at) => {
    if (at === 160) player.pause();
  });
  await player.play();
  assert.deepEqual([shown, player.at, player.playing], [[130, 160], 130, false]);
  await player.seek(500);
  assert.deepEqual([player.at, player.playing], [200, false]);
  await player.seek(0);
  assert.equal(player.at, 100);
});

test("what cannot be shown ends it, and is told", async () => {
  const { player } = rig((at) => {
    if (at === 160) throw new Error("no history");
  });
  await assert.rejects(player.play(), /no history/);
  assert.deepEqual([player.playing, player.at], [false, 130]);
});
