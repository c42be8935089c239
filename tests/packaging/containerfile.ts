/** One instruction of a Containerfile. */
export interface Instruction {
  readonly name: string;
  readonly text: string;
}

/** The instructions of a Containerfile, continued lines joined, comments left out. */
export function parseContainerfile(text: string): readonly Instruction[] {
  return text
    .replace(/^#.*\n/gm, "")
    .replace(/\\\n\s*/g, " ")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const [, name, rest] = /^([A-Z]+) +(\S.*)$/.exec(line) ?? [];
      if (name === undefined) throw new Error(`Cannot read ${JSON.stringify(line)}`);
      return { name, text: rest! };
    });
}

/** The variables of all ENV instructions. */
export function environmentOf(instructions: readonly Instruction[]): Record<string, string> {
  const pairs = instructions.filter(({ name }) => name === "ENV").flatMap(({ text }) =>
    text.split(/ +/)
  );
  return Object.fromEntries(pairs.map((pair) => {
    const [, name, value] = /^(\w+)=(\S*)$/.exec(pair) ?? [];
    if (name === undefined) throw new Error(`Cannot read ENV ${JSON.stringify(pair)}`);
    return [name, value!];
  }));
}
