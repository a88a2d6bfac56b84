"use strict";
const { images, clips } = JSON.parse(document.getElementById("pictures").textContent);
for (const figure of document.querySelectorAll(".ab")) {
  const cut = figure.querySelector("input");
  const move = () => {
    figure.style.setProperty("--cut", cut.value + "%");
    cut.setAttribute("aria-valuetext", `${Math.round(cut.value)} % simulated, ${100 - Math.round(cut.value)} % augmented`);
  };
  cut.addEventListener("input", move);
  move();
}
for (const [name, clip] of Object.entries(clips)) {
  const section = document.getElementById(name);
  const scrub = section && section.querySelector(".scrub");
  if (!scrub) continue;
  const slider = scrub.querySelector("input"), output = scrub.querySelector("output"), button = scrub.querySelector("button");
  const show = () => {
    const i = Number(slider.value);
    for (const [key, pictures] of Object.entries(clip.pictures)) {
      const target = section.querySelector(`img[data-shows="${key}"]`);
      if (target && pictures[i] in images) target.src = images[pictures[i]];
    }
    output.textContent = clip.captions[i];
    slider.setAttribute("aria-valuetext", clip.captions[i]);
  };
  slider.addEventListener("input", show);
  show();
  let timer = 0;
  button.addEventListener("click", () => {
    if (timer) clearInterval(timer), timer = 0;
    else timer = setInterval(() => { slider.value = (Number(slider.value) + 1) % clip.captions.length; show(); }, 400);
    button.textContent = timer ? "Pause" : "Play";
  });
}
for (const button of document.querySelectorAll(".copy")) {
  button.addEventListener("click", async () => {
    const text = button.parentElement.querySelector("code").textContent;
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(button.parentElement.querySelector("code"));
      button.textContent = "Selected";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 1600);
  });
}
