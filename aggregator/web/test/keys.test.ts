import assert from "node:assert/strict";
import { test } from "node:test";
import { Keyboard, SHORTCUTS } from "../src/keys.ts";

test("every shortcut asks for its command, and none hides another", () => {
  const keyboard = new Keyboard();
  for (const [keys, command] of SHORTCUTS) {
    const pressed = keys.split(" ").map((key) => keyboard.press(key, 0));
    assert.deepEqual(pressed, [...pressed.slice(1).map(() => null), command], keys);
  }
  assert.equal(new Set(SHORTCUTS.map(([keys]) => keys)).size, SHORTCUTS.length);
});

test("a second key that comes late stands for itself", () => {
  const keyboard = new Keyboard();
  assert.equal(keyboard.press("g", 0), null);
  assert.equal(keyboard.press("a", 5000), "acknowledge");
  assert.equal(keyboard.press("g", 6000), null);
  assert.equal(keyboard.press("x", 6001), null);
  assert.equal(keyboard.press("a", 6002), "acknowledge");
});
