import { describe, expect, test } from "vitest";
import { KeyMap } from "./key-map.ts";

describe("KeyMap", () => {
  test("holds what was added until it is deleted", () => {
    const map = new KeyMap<number>();
    for (let i = 0; i < 5000; i++) {
      map.add(`key:${i}`, i);
    }
    expect(map.size).toBe(5000);
    for (let i = 0; i < 5000; i++) {
      expect(map.get(`key:${i}`)).toBe(i);
    }
    for (let i = 0; i < 5000; i += 2) {
      map.delete(`key:${i}`);
    }
    map.delete("key:0");
    map.delete("never there");
    expect(map.size).toBe(2500);
    expect(map.get("key:0")).toBeUndefined();
    expect(map.get("key:1")).toBe(1);
    for (let i = 1; i < 5000; i += 2) {
      map.delete(`key:${i}`);
    }
    expect(map.size).toBe(0);
  });
});
