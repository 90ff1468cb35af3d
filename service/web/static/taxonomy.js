// The taxonomy of the serving model, and the colour class of each category.
import { get } from "./api.js";

const N_COLOURS = 13;

/** Loads the taxonomy; its `typeOf` and `categoryOf` know every risk type by key. */
export async function loadTaxonomy() {
  const { categories } = await get("/taxonomy");
  const colours = new Map(categories.map((category, i) => [category.key, `c${i % N_COLOURS}`]));
  const types = categories.flatMap((category) => category.risk_types.map((type) => ({ ...type, category: category.key, categoryTitle: category.title })));
  const byKey = new Map(types.map((type) => [type.key, type]));
  return { categories, types, typeOf: (key) => byKey.get(key), colourOf: (category) => colours.get(category) || "c0" };
}
