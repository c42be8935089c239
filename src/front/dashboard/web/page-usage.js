// @ts-check
/// <reference lib="dom" />

/** @param {{path: string[], query: URLSearchParams}} _props */
export default function Page(_props) {
  return null;
}
