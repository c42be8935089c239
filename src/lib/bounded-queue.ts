/** Options of a {@link BoundedQueue}. */
export interface BoundedQueueOptions<T> {
  /** Most items held at once. */
  readonly capacity: number;
  /** Most weight held at once, in the unit of `weigh`. @default Infinity */
  readonly maxWeight?: number;
  /** What one item weighs, measured once when it enters. @default every item weighs 0 */
  readonly weigh?: (item: T) => number;
}

/**
 * A first-in first-out queue that refuses new items when it is full, instead of growing or of
 * throwing away what it promised to keep. Every operation is O(1) amortised.
 */
export class BoundedQueue<T> {
  readonly #options: Required<BoundedQueueOptions<T>>;
  #items: { readonly item: T; readonly weight: number }[] = [];
  #head = 0;
  #weight = 0;

  /** Throws a RangeError for a capacity that is not a positive integer. */
  constructor(options: BoundedQueueOptions<T>) {
    const { capacity } = options;
    if (!Number.isInteger(capacity) || capacity < 1) {
      throw new RangeError(
        `Cannot create a queue of capacity "${capacity}": expected a positive integer`,
      );
    }
    this.#options = { maxWeight: Infinity, weigh: () => 0, ...options };
  }

  /** Items held now. */
  get size(): number {
    return this.#items.length - this.#head;
  }

  /** Weight held now. */
  get weight(): number {
    return this.#weight;
  }

  /**
   * Takes the item, or answers false when there is no room for it. A single item heavier than
   * `maxWeight` still enters an empty queue, or it could never be served at all.
   */
  push(item: T): boolean {
    const { capacity, maxWeight, weigh } = this.#options;
    if (this.size >= capacity) return false;
    const weight = weigh(item);
    if (this.size > 0 && this.#weight + weight > maxWeight) return false;
    this.#items.push({ item, weight });
    this.#weight += weight;
    return true;
  }

  /** The oldest items, at most `count`, which stay in the queue. */
  peek(count: number): T[] {
    return this.#items.slice(this.#head, this.#head + count).map(({ item }) => item);
  }

  /** Removes the oldest items, at most `count`. */
  drop(count: number): void {
    const end = Math.min(this.#head + count, this.#items.length);
    for (let i = this.#head; i < end; i++) this.#weight -= this.#items[i]?.weight ?? 0;
    this.#head = end;
    // Copying only when more than half is dead keeps the cost of a removal constant on average,
    // and lets go of what was removed.
    if (this.#head * 2 >= this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
  }

  /** Removes everything and answers how many items that were. */
  clear(): number {
    const { size } = this;
    this.#items = [];
    this.#head = 0;
    this.#weight = 0;
    return size;
  }
}
