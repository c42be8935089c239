import { addEraTests } from "./suite.ts";

addEraTests("memory");
