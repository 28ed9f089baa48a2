// Both arms in 3-D: measured (solid), commanded (thin), and the chunk's way as dots, a target of each pair of fingertips each.
import { useEffect, useRef } from "preact/hooks";
import * as THREE from "three";
import { OrbitControls } from "three/orbit-controls";
import { html } from "./html.js";

const LINKS = [[0, 1], [1, 2], [2, 3], [3, 4], [4, 5], [5, 6], [6, 7], [5, 8], [8, 9]];
const RADII = [0.045, 0.04, 0.035, 0.035, 0.03, 0.012, 0.01, 0.012, 0.01];
const TABLE_M = 0.74;
const DRAW_EVERY_MS = 80; // a tablet, and a browser without a GPU, have other things to do
const COLOURS = { measured: 0x8fa3b8, commanded: 0xffb000, path: 0x2ea8ff, moving: 0x35c46a, fault: 0xe5484d };

export function Arms({ moment, recorded }) {
  const place = useRef(null);
  const scene = useRef(null);
  useEffect(() => {
    try {
      scene.current = new Scene(place.current);
    } catch (error) { // a browser without WebGL: everything else of the page goes on
      place.current.textContent = `the arms cannot be drawn here: ${error.message}`;
      return undefined;
    }
    return () => scene.current.close();
  }, []);
  useEffect(() => scene.current?.show(moment, recorded), [moment]);
  return html`<section class="arms" ref=${place}><span class="small legend"><span class="key measured">measured</span>
    <span class="key commanded">commanded</span> <span class="key chunk">chunk</span></span></section>`;
}

class Scene {
  constructor(place) {
    this.place = place;
    this.shownMs = 0;
    this.renderer = new THREE.WebGLRenderer({ antialias: true, alpha: true });
    place.append(this.renderer.domElement);
    this.camera = new THREE.PerspectiveCamera(40, 1, 0.05, 10);
    this.camera.up.set(0, 0, 1);
    this.camera.position.set(0, -1.7, TABLE_M + 0.95);
    this.controls = new OrbitControls(this.camera, this.renderer.domElement);
    this.controls.target.set(0, -0.2, TABLE_M + 0.15);
    this.controls.update();
    this.controls.addEventListener("change", () => this.draw());
    this.scene = new THREE.Scene();
    this.scene.add(new THREE.HemisphereLight(0xffffff, 0x666666, 2.2));
    const sun = new THREE.DirectionalLight(0xffffff, 1.5);
    sun.position.set(0.5, -1, 3);
    this.scene.add(sun);
    const table = new THREE.GridHelper(1.4, 14, 0x888888, 0x888888);
    table.rotation.x = Math.PI / 2;
    table.position.z = TABLE_M;
    table.material.opacity = 0.35;
    table.material.transparent = true;
    this.scene.add(table);
    this.solid = [0, 1].map(() => RADII.map((radius) => this.add(capsule(radius))));
    this.joints = [0, 1].map(() => this.add(line(COLOURS.commanded)));
    this.paths = [0, 1].map(() => this.add(dots(COLOURS.path)));
    this.resized = new ResizeObserver(() => this.resize());
    this.resized.observe(place);
    this.resize();
  }

  add(object) {
    this.scene.add(object);
    return object;
  }

  show(moment, recorded) {
    const now = performance.now();
    if (now - this.shownMs < DRAW_EVERY_MS) return;
    this.shownMs = now;
    const { measured, commanded } = moment.arms;
    const mode = moment.safety?.mode;
    const colour = recorded ? COLOURS.measured : mode === "FAULT" ? COLOURS.fault : mode === "RUNNING" || mode === "TAKEOVER" ? COLOURS.moving : COLOURS.measured;
    for (const side of [0, 1]) {
      if (measured) {
        LINKS.forEach(([from, to], index) => {
          lay(this.solid[side][index], measured[side][from], measured[side][to]);
          this.solid[side][index].material.color.setHex(colour);
        });
      }
      if (commanded) {
        const points = [0, 1, 2, 3, 4, 5].map((point) => commanded[side][point]);
        trace(this.joints[side], points);
      }
      if (moment.chunk) trace(this.paths[side], moment.chunk.path[side].slice(moment.consumed));
    }
    this.draw();
  }

  draw() {
    this.renderer.render(this.scene, this.camera);
  }

  resize() {
    const { clientWidth, clientHeight } = this.place;
    if (!clientWidth || !clientHeight) return;
    this.renderer.setSize(clientWidth, clientHeight);
    this.camera.aspect = clientWidth / clientHeight;
    this.camera.updateProjectionMatrix();
    this.draw();
  }

  close() {
    this.resized.disconnect();
    this.controls.dispose();
    this.renderer.dispose();
    this.renderer.domElement.remove();
  }
}

function capsule(radius) {
  const shape = new THREE.CylinderGeometry(radius, radius, 1, 12).rotateX(Math.PI / 2);
  const mesh = new THREE.Mesh(shape, new THREE.MeshStandardMaterial({ color: COLOURS.measured, roughness: 0.6 }));
  mesh.visible = false; // until it is known where it is
  return mesh;
}

// Seen through the arms; not culled, since what they show changes faster than their bounds are computed.
function line(color) {
  return always(new THREE.Line(new THREE.BufferGeometry(), new THREE.LineBasicMaterial({ color, depthTest: false })));
}

function dots(color) {
  const material = new THREE.PointsMaterial({ color, size: 7, sizeAttenuation: false, depthTest: false });
  return always(new THREE.Points(new THREE.BufferGeometry(), material));
}

function always(object) {
  object.frustumCulled = false;
  object.visible = false; // until there is something to show
  object.renderOrder = 1;
  return object;
}

// A unit cylinder along z between two points.
function lay(mesh, from, to) {
  const [a, b] = [new THREE.Vector3(...from), new THREE.Vector3(...to)];
  mesh.position.copy(a).add(b).multiplyScalar(0.5);
  mesh.scale.z = Math.max(a.distanceTo(b), 1e-4);
  mesh.lookAt(b);
  mesh.visible = true;
}

function trace(object, points) {
  object.geometry.setAttribute("position", new THREE.Float32BufferAttribute(points.flat(), 3));
  object.visible = points.length > 1;
}
