export { augmentImage, type AugmentJob, type AugmentKey } from './augmentImage.js';
export { gaussianBlur } from './blur.js';
export { eraseRegion, type Fill } from './erase.js';
export { cropPad, cropResize, flipImage, rotateImage } from './geometry.js';
export { jpegArtefacts } from './jpeg.js';
export { drawMask, MASK_COLOURS, MASK_SHAPES, type MaskColour, type MaskOptions, type MaskShape } from './mask.js';
export { adjustBrightness, adjustContrast, adjustHue, adjustSaturation, toGrey } from './photometric.js';
export { AUGMENT_PRESET_NAMES, AUGMENT_PRESETS, resolvePlan, type AugmentPlan, type AugmentPreset } from './plan.js';
export { INTERPOLATIONS, lowerResolution, resample, type Interpolation, type Region } from './resample.js';
