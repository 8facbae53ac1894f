// human 3.3.6 with its WebAssembly backend: reads a path per line, answers one line of JSON.
const fs = require('fs'), path = require('path'), readline = require('readline');
const home = path.join(process.argv[2], 'node_modules');
const need = (name) => require(path.join(home, name));
const tf = need('@tensorflow/tfjs'), wasm = need('@tensorflow/tfjs-backend-wasm');
const jpeg = need('jpeg-js'), { PNG } = need('pngjs');
globalThis.fetch = async (url) => {  // models lie in the package: a file is what is fetched
  const body = fs.readFileSync(String(url.url || url).replace('file://', ''));
  return new Response(body, { headers: { 'content-type': String(url).endsWith('.json') ? 'application/json' : 'application/octet-stream' } });
};
const Human = need('@vladmandic/human/dist/human.node-wasm.js').default;
(async () => {
  const folder = path.join(home, '@tensorflow/tfjs-backend-wasm/dist/');
  wasm.setWasmPaths(folder, true);
  const human = new Human({ modelBasePath: `file://${path.join(home, '@vladmandic/human/models/')}`, backend: 'wasm', wasmPath: folder, cacheSensitivity: 0, debug: false,
    filter: { enabled: false }, face: { enabled: true, detector: { maxDetected: 10, rotation: false }, mesh: { enabled: true }, iris: { enabled: false }, description: { enabled: false }, antispoof: { enabled: false }, liveness: { enabled: false }, emotion: { enabled: true, minConfidence: 0, skipFrames: 0, skipTime: 0 } },
    body: { enabled: false }, hand: { enabled: false }, object: { enabled: false }, gesture: { enabled: false } });
  await tf.setBackend('wasm'); await human.load();
  console.log(JSON.stringify({ ready: true }));
  for await (const file of readline.createInterface({ input: process.stdin })) {
    try {
      const bytes = fs.readFileSync(file);
      const image = bytes[0] === 0x89 ? PNG.sync.read(bytes) : jpeg.decode(bytes, { useTArray: true });
      const rgba = tf.tensor(new Int32Array(image.data), [1, image.height, image.width, 4], 'int32');
      const tensor = tf.slice(rgba, [0, 0, 0, 0], [1, image.height, image.width, 3]);
      const result = await human.detect(tensor);
      tf.dispose([rgba, tensor]);
      if (result.error) throw new Error(result.error);
      console.log(JSON.stringify({ faces: result.face.map((f) => ({ box: [f.box[0], f.box[1], f.box[0] + f.box[2], f.box[1] + f.box[3]],
        probabilities: Object.fromEntries((f.emotion || []).map((e) => [e.emotion, e.score])) })) }));
    } catch (e) { console.log(JSON.stringify({ error: String(e.message || e) })); }
  }
})().catch((e) => { console.error(e); process.exit(1); });
