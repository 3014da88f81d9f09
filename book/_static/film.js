/* <pw-film>: figures and a timeline of what changes in them, made by stage/film.py.
   It plays when asked and stops when scrolled away. Space or k plays, arrows step, Home and End
   jump. Where less motion is wished for, each frame stays a second. */
{
  const ICONS = {
    first: "M6 5v14M19 5 9 12l10 7z",
    back: "M17 5 7 12l10 7z",
    play: "M8 5v14l11-7z",
    pause: "M8 5v14M16 5v14",
    next: "M7 5l10 7-10 7z",
  };

  class Film extends HTMLElement {
    connectedCallback() {
      if (this.bar) return;
      try {
        Object.assign(this, JSON.parse(this.querySelector("script").textContent));
        this.unfold();
      } catch { return; } // the last frame stands
      this.caption = this.querySelector(".pw-caption span");
      this.bar = this.add(this, "div", { className: "pw-bar" });
      this.button("first", "First frame", () => this.step(0));
      this.button("back", "Step back", () => this.step(this.at - 1));
      this.toggle = this.button("play", "Play", () => this.timer ? this.pause() : this.play());
      this.button("next", "Step forward", () => this.step(this.at + 1));
      this.range = this.add(this.bar, "input", { type: "range", min: 0, max: this.frames - 1 });
      this.range.setAttribute("aria-label", "Frame");
      this.range.oninput = () => { this.pause(); this.seek(+this.range.value); };
      this.counter = this.add(this.bar, "span", { className: "pw-counter" });
      this.onkeydown = event => this.key(event);
      this.seek(this.frames - 1);
      new IntersectionObserver(seen => seen.at(-1).isIntersecting || this.pause()).observe(this);
    }

    add(parent, tag, properties) {
      return parent.appendChild(Object.assign(document.createElement(tag), properties));
    }

    button(icon, label, onclick) {
      return this.dress(this.add(this.bar, "button", { type: "button", onclick }), icon, label);
    }

    dress(button, icon, label) {
      const path = `<path d="${ICONS[icon]}"/>`;
      button.innerHTML = `<svg viewBox="0 0 24 24" aria-hidden="true">${path}</svg>`;
      button.className = `pw-${icon}`;
      button.title = label;
      button.setAttribute("aria-label", label);
      return button;
    }

    unfold() { // each track beside its element, values that grow written out
      const moving = this.querySelectorAll("[data-t]");
      if (moving.length !== this.tracks.length) throw Error("the timeline is not of this film");
      this.tracks = this.tracks.flatMap((track, i) => Object.entries(track).map(([name, steps]) => {
        steps.forEach((step, j) => { if (step[2]) step[1] = steps[j - 1][1] + step[1]; });
        return { element: moving[i], name, steps };
      }));
    }

    seek(frame, aloud) {
      this.at = frame = Math.max(0, Math.min(this.frames - 1, frame));
      for (const track of this.tracks) {
        const { element, name, steps } = track;
        const step = steps.findLast(([from]) => from <= frame);
        if (step === track.shown) continue;
        track.shown = step;
        if (name === "#") element.textContent = step[1];
        else if (name[0] === ".") element.style.setProperty(name.slice(1), step[1]);
        else if (step[1] === null) element.removeAttribute(name);
        else element.setAttribute(name, step[1]);
      }
      const caption = this.captions[frame];
      if (caption) {
        this.caption.setAttribute("aria-live", aloud ? "polite" : "off");
        this.caption.textContent = caption;
      }
      const place = `frame ${frame + 1} of ${this.frames}`;
      this.range.value = frame;
      this.range.setAttribute("aria-valuetext", caption ? `${place}: ${caption}` : place);
      this.counter.textContent = `${frame + 1} / ${this.frames}`;
    }

    step(frame) { this.pause(); this.seek(frame, true); }

    play() {
      const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
      if (this.at === this.frames - 1) this.seek(0);
      this.timer = setInterval(() => {
        if (this.at < this.frames - 1) this.seek(this.at + 1);
        else this.pause();
      }, calm ? 1000 : 1000 / this.fps);
      this.dress(this.toggle, "pause", "Pause");
    }

    pause() {
      if (!this.timer) return;
      clearInterval(this.timer);
      this.timer = 0;
      this.dress(this.toggle, "play", "Play");
    }

    key(event) {
      if (event.ctrlKey || event.altKey || event.metaKey) return;
      const to = { ArrowLeft: this.at - 1, ArrowRight: this.at + 1, Home: 0, End: this.frames - 1 };
      const slider = event.target === this.range; // it moves itself; a button presses itself
      if (event.key === "k" || (event.key === " " && slider)) this.toggle.click();
      else if (event.key in to && !slider) this.step(to[event.key]);
      else return;
      event.preventDefault();
    }
  }

  const define = () => customElements.get("pw-film") || customElements.define("pw-film", Film);
  if (document.readyState === "loading") addEventListener("DOMContentLoaded", define);
  else define();
}
