/**
 * Words that say nothing about which tool is meant: grammar, politeness, and the talk around a wish.
 * Verbs such as `get` are not among them: they are common, and weigh little by themselves.
 */
const WORDS = `
a about above after again all also am an and any anything are around as ask at away
be because been before being below between both but by
can cannot could did do does doing don done down during each either else etc every everything
few for from further give gonna got had has have having he hello help her here hers hey hi him his how
i if in instead into is isn it its itself just
kindly know let like ll looking make many may me might mine more most much must my myself
need needed no nor not now of off ok on once one only onto or other our ours out over own
please quickly rather re really regarding same shall she should so some somebody someone something
specific such sure
tell than thank thanks that the their theirs them themselves then there these they thing this those
through to too under unless until up upon us use used using
various ve very via want wanted was wasn we well were what whatever when where whether which while who
whom whose why will with within without won would yeah yes yet you your yours yourself
way ways lot lots kind trouble interested currently possible possibly going go come best good great nice
able allow based enable given help including provide provided provides providing
`;

/** {@link WORDS} as they come out of splitting: lower case, without diacritics, not stemmed. */
export const STOP_WORDS: ReadonlySet<string> = new Set(WORDS.split(/\s+/).filter(Boolean));
