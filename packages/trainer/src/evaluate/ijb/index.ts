export { evaluateIjb, type IjbEvaluation, type IjbOptions, type SizedModel } from './evaluateIjb.js';
export { formatIjb } from './format.js';
export type { CmcFigure, GalleryIdentification, Identification, TpirFigure } from './identification.js';
export type { IjbProtocol } from './layout.js';
export type { TemplateOptions } from './templates.js';
export type { TemplateVerification } from './verification.js';
