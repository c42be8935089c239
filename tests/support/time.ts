const now = performance.now.bind(performance);
let passed = 0;
let heldAt: number | undefined;

/**
 * Lets that much time pass at once for everything in this process that looks at the clock. No timer
 * fires by it; what has to rest has rested.
 */
export function passTime(ms: number): void {
  passed += ms;
  performance.now = () => heldAt ?? now() + passed;
}

/**
 * Lets time stand still for them until it is disposed: what has just been is recent, however slow
 * the machine is. No timer waits for it.
 */
export function holdTime(): Disposable {
  passTime(0);
  const at = heldAt = performance.now();
  return {
    [Symbol.dispose]: () => {
      heldAt = undefined;
      passed = at - now();
    },
  };
}
